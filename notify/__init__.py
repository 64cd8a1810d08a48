"""Messages to people by other ways than mail: Telegram's bot API. The example of docs/adding-a-task.md."""
