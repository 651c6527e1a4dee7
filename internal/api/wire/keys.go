package wire

// RotateKeyIn asks for a new signing key.
type RotateKeyIn struct {
	Kind string `path:"kind" enum:"scoped-key,master-key" doc:"scoped-key signs peels' permissions for the bus, master-key signs jobs"`
}
