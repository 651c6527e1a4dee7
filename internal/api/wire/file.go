package wire

import "github.com/rind-project/rind/internal/fleet/blob"

// FileIn says which file is to come.
type FileIn struct {
	blob.Begin
}

// FileSum names a file that people brought.
type FileSum struct {
	SHA256 string `path:"sha256" doc:"SHA-256 of the file, in lower-case hex"`
}

// ChunkIn names a chunk that comes as the body.
type ChunkIn struct {
	SHA256 string `path:"sha256" doc:"SHA-256 of the file, in lower-case hex"`
	N      int    `path:"n" doc:"number of the chunk, from 0; each but the last has 512 KiB"`
}

// PeelFile names a file that a peel brought.
type PeelFile struct {
	ID     string `path:"id" doc:"id of the peel"`
	SHA256 string `path:"sha256" doc:"SHA-256 of the file, in lower-case hex"`
}

// PeelChunk names a chunk of a file that a peel brought.
type PeelChunk struct {
	ID     string `path:"id" doc:"id of the peel"`
	SHA256 string `path:"sha256" doc:"SHA-256 of the file, in lower-case hex"`
	N      int    `path:"n" doc:"number of the chunk, from 0"`
}
