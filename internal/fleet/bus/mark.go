package bus

import (
	"crypto/rand"
	"encoding/hex"
	"strings"

	"github.com/rind-project/rind/internal/fleet"
)

// markBytes is the length of a process's mark.
const markBytes = 8

// NewMark makes the mark of a peel's process. It is random, so that the same
// one never returns once its process has ended.
func NewMark() string {
	b := make([]byte, markBytes)
	rand.Read(b)
	return hex.EncodeToString(b)
}

// ConnName is the name of a peel's connection, in which servers see the mark
// of its process. Whoever has the peel's key can claim any; it tells apart two
// processes that both believe to be the peel.
func ConnName(id fleet.PeelID, mark string) string { return string(id) + "#" + mark }

// ConnMark returns the mark in a connection's name.
func ConnMark(name string) (string, bool) {
	_, mark, ok := strings.Cut(name, "#")
	if !ok || len(mark) != 2*markBytes {
		return "", false
	}
	_, err := hex.DecodeString(mark)
	return mark, err == nil
}
