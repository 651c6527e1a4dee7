package wire

// BackupIn asks for a backup.
type BackupIn struct {
	Keys bool `query:"keys" doc:"with the fleet's keys; through the server's own socket only"`
}
