DROP TABLE plugin_version_files;
DROP TABLE plugin_blobs;
DROP TABLE plugin_versions;
