package tap

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"time"
)

// newBoot makes the id of a boot: a UUIDv7 (RFC 9562 section 5.7), 48 bits of
// milliseconds and then randomness.
func newBoot(now time.Time) string {
	var b [16]byte
	_, _ = rand.Read(b[6:]) // never fails
	var ms [8]byte
	binary.BigEndian.PutUint64(ms[:], uint64(now.UnixMilli()))
	copy(b[:6], ms[2:])
	return uuidText(b, 7)
}

// fileBoot is the boot id of a file: a UUIDv8 (RFC 9562 section 5.8) made of
// its contents, so that the same file delivered twice is counted once. What
// can be read only once, such as a pipe, gets a new id.
func fileBoot(path string) (string, error) {
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		return newBoot(time.Now()), nil
	}
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", fmt.Errorf("reading %s: %w", path, err)
	}
	return uuidText([16]byte(h.Sum(nil)), 8), nil
}

// uuidText sets version and variant and writes the id in its usual form.
func uuidText(b [16]byte, version byte) string {
	b[6] = b[6]&0x0f | version<<4
	b[8] = b[8]&0x3f | 0x80
	text := hex.EncodeToString(b[:])
	return text[:8] + "-" + text[8:12] + "-" + text[12:16] + "-" + text[16:20] + "-" + text[20:]
}
