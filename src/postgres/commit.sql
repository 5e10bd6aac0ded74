-- One message: a fence that raises keeps COMMIT from being executed. Such a message takes no parameters.
SELECT move_commit_offset(:topic, :partition, :token, :from, :to, :crc, :ledger_id);
COMMIT
