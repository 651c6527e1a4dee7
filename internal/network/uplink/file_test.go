package uplink

import (
	"bytes"
	"testing"
	"time"
)

// FuzzUnframe shows that no file's content makes the spool fail, and that
// what it accepts is exactly what was framed.
func FuzzUnframe(f *testing.F) {
	f.Add(framed(time.Unix(1, 0), []byte("report")))
	f.Add(framed(time.Time{}, nil))
	f.Add([]byte(fileMagic))
	f.Add(make([]byte, fileHeader))
	f.Fuzz(func(t *testing.T, b []byte) {
		end, body, err := unframe(b)
		if err == nil && !bytes.Equal(framed(end, body), b) {
			t.Fatalf("%q was taken and is framed otherwise", b)
		}
	})
}

// FuzzParseName shows that a name is a report's only in the form in which the
// spool writes it.
func FuzzParseName(f *testing.F) {
	f.Add(Entry{Run: 3, Boot: "0190b0c0-0000-7000-8000-000000000000", Sequence: 7}.name())
	f.Add("1.a.2.report")
	f.Add("../../etc/passwd.report")
	f.Fuzz(func(t *testing.T, name string) {
		if e, ok := parseName(name); ok && e.name() != name {
			t.Fatalf("%q is read as %+v", name, e)
		}
	})
}

func framed(end time.Time, body []byte) []byte { return append(headerOf(end, body), body...) }
