package enrich

import (
	"bytes"
	"encoding/csv"
	"errors"
	"io"
	"strconv"
	"strings"
	"unicode"

	"github.com/rind-project/rind/internal/base/errs"
)

// vendors is IEEE's list: assignments of 24, 28 and 36 bits (MA-L, MA-M, MA-S).
type vendors struct{ byPrefix map[prefix]string }

// prefix is the begin of a hardware address.
type prefix struct {
	bits  uint8
	value uint64 // of 48 bits, zero behind the prefix
}

// maxVendors is far above the 60,000 assignments that there are.
const maxVendors = 1_000_000

// readVendors reads oui.txt or oui.csv, or several of them one after another.
func readVendors(content []byte) (*vendors, int, error) {
	v := &vendors{byPrefix: map[prefix]string{}}
	var err error
	if bytes.HasPrefix(bytes.TrimPrefix(content, []byte("\ufeff")), []byte("Registry,")) {
		err = v.readCSV(bytes.TrimPrefix(content, []byte("\ufeff")))
	} else {
		v.readText(content)
	}
	if err == nil && len(v.byPrefix) == 0 {
		err = errs.New(errs.Invalid, "this is not IEEE's list of vendors (https://standards-oui.ieee.org/oui/oui.txt or oui.csv): there is no assignment in it")
	}
	return v, len(v.byPrefix), err
}

// readText reads lines such as
//
//	28-6F-B9   (hex)                Nokia Shanghai Bell Co., Ltd.
//	286FB9     (base 16)            Nokia Shanghai Bell Co., Ltd.
//
// where the second of a smaller assignment is a range: "D00000-DFFFFF".
func (v *vendors) readText(content []byte) {
	block := ""
	for line := range bytes.Lines(content) {
		if before, _, ok := bytes.Cut(line, []byte("(hex)")); ok {
			block = strings.ReplaceAll(strings.TrimSpace(string(before)), "-", "")
		} else if before, after, ok := bytes.Cut(line, []byte("(base 16)")); ok {
			digits := strings.TrimSpace(string(before))
			if first, last, ok := strings.Cut(digits, "-"); ok {
				digits = block + common(first, last)
			}
			v.add(digits, string(after))
		}
	}
}

// common is the begin that the first and last number of a range share.
func common(first, last string) string {
	n := 0
	for n < len(first) && n < len(last) && first[n] == last[n] {
		n++
	}
	return first[:n]
}

// readCSV reads "Registry,Assignment,Organization Name,…".
func (v *vendors) readCSV(content []byte) error {
	rows := csv.NewReader(bytes.NewReader(content))
	rows.FieldsPerRecord, rows.LazyQuotes, rows.ReuseRecord = -1, true, true
	for {
		row, err := rows.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return errs.New(errs.Invalid, "reading IEEE's list of vendors: %w", err)
		}
		if len(row) >= 3 {
			v.add(row[1], row[2])
		}
	}
}

// add takes an assignment of 6, 7 or 9 digits, and leaves out anything else.
func (v *vendors) add(digits, name string) {
	n := len(digits)
	value, err := strconv.ParseUint(digits, 16, 64)
	if name = clean(name); err != nil || name == "" || n != 6 && n != 7 && n != 9 || len(v.byPrefix) >= maxVendors {
		return
	}
	v.byPrefix[prefix{uint8(4 * n), value << (48 - 4*n)}] = name
}

// find takes the smallest assignment that holds the address.
func (v *vendors) find(mac [6]byte) string {
	if mac[0]&0x02 != 0 || mac == [6]byte{} {
		return "" // chosen by the host (IEEE 802, 8.4.2)
	}
	var n uint64
	for _, b := range mac {
		n = n<<8 | uint64(b)
	}
	for _, bits := range [...]uint8{36, 28, 24} {
		if name := v.byPrefix[prefix{bits, n >> (48 - bits) << (48 - bits)}]; name != "" {
			return name
		}
	}
	return ""
}

// maxText bounds a name from a file, in bytes.
const maxText = 120

// clean makes a name from a file one short line.
func clean(s string) string {
	s = strings.ToValidUTF8(s, "")
	s = strings.Join(strings.FieldsFunc(s, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) || r == '\u2028' }), " ")
	if len(s) > maxText {
		s = strings.ToValidUTF8(s[:maxText], "")
	}
	return s
}
