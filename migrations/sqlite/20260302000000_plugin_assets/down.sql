DROP TABLE plugin_assets;
