DROP TABLE plugin_grants;
