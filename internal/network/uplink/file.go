package uplink

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"strconv"
	"strings"
	"time"
)

// A spooled report is a file: a header of fixed length, and the report as it
// is sent. The header makes a torn file recognisable.
//
//	0  "RSPL1\n"     6 bytes
//	6  end           8 bytes, µs since 1970, big endian
//	14 length        8 bytes
//	22 CRC-32C       4 bytes, over bytes 6..22 and the report
const (
	fileMagic  = "RSPL1\n"
	fileHeader = 26
	fileSuffix = ".report"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Entry is one report in a spool.
type Entry struct {
	Run      uint64 // number of the boot in this spool, rising
	Boot     string
	Sequence uint64
	Size     int64     // of the file
	Written  time.Time // when the file was written
}

// name is the file's name; names sort in the order in which reports were made,
// also when the clock was set back between two boots.
func (e Entry) name() string {
	return fmt.Sprintf("%010d.%s.%020d%s", e.Run, e.Boot, e.Sequence, fileSuffix)
}

func parseName(name string) (e Entry, ok bool) {
	parts := strings.Split(strings.TrimSuffix(name, fileSuffix), ".")
	if !strings.HasSuffix(name, fileSuffix) || len(parts) != 3 {
		return e, false
	}
	var err1, err2 error
	e.Run, err1 = strconv.ParseUint(parts[0], 10, 64)
	e.Sequence, err2 = strconv.ParseUint(parts[2], 10, 64)
	e.Boot = parts[1]
	return e, err1 == nil && err2 == nil && e.name() == name
}

func (e Entry) before(o Entry) bool {
	if e.Run != o.Run {
		return e.Run < o.Run
	}
	return e.Sequence < o.Sequence
}

// headerOf is what stands before a report.
func headerOf(end time.Time, body []byte) []byte {
	b := make([]byte, fileHeader)
	copy(b, fileMagic)
	binary.BigEndian.PutUint64(b[6:], uint64(end.UnixMicro()))
	binary.BigEndian.PutUint64(b[14:], uint64(len(body)))
	sum := crc32.Update(crc32.Checksum(b[6:22], castagnoli), castagnoli, body)
	binary.BigEndian.PutUint32(b[22:], sum)
	return b
}

// unframe returns the report in a file, or what is wrong with the file.
func unframe(b []byte) (end time.Time, body []byte, err error) {
	if len(b) < fileHeader || string(b[:6]) != fileMagic {
		return end, nil, fmt.Errorf("the header is missing")
	}
	body = b[fileHeader:]
	if n := binary.BigEndian.Uint64(b[14:]); n != uint64(len(body)) {
		return end, nil, fmt.Errorf("%d bytes of a report of %d bytes are there", len(body), n)
	}
	sum := crc32.Update(crc32.Checksum(b[6:22], castagnoli), castagnoli, body)
	if sum != binary.BigEndian.Uint32(b[22:]) {
		return end, nil, fmt.Errorf("the checksum is wrong")
	}
	return time.UnixMicro(int64(binary.BigEndian.Uint64(b[6:]))).UTC(), body, nil
}
