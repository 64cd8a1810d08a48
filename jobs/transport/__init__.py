"""Kombu transports: what the engine needs of brokers beyond what Kombu ships."""
