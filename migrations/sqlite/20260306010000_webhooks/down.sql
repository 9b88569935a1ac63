DELETE FROM deliveries WHERE subscriber LIKE 'webhook/%';
DROP TABLE webhook_attempts;
DROP TABLE webhooks;
