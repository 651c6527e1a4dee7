package report

import (
	"encoding/json"
	"errors"
	"io"
	"reflect"
	"unsafe"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/record"
)

// JSONType is the content type of the JSON form, which is for programs that
// are no taps of ours: encoding/json of network.Report.
const JSONType = "application/json"

// encodings are the content encodings that the JSON form may have; "" is none.
var encodings = [...]string{"", "identity", "gzip", "zstd"}

// KnownEncoding reports whether ReadJSON takes a content encoding.
func KnownEncoding(name string) bool {
	for _, known := range encodings {
		if name == known {
			return true
		}
	}
	return false
}

// maxElement is how large one row may be in JSON, and a field that is no list.
const maxElement = 256 << 10

// ReadJSON decodes the JSON form while it arrives, row by row, within the same
// limits as Read. A member that is not known is passed over.
func (d *Decoder) ReadJSON(body io.Reader, encoding string, grow Grow) (Received, error) {
	in := &source{from: body, left: d.limits.Compressed}
	j := &jsonParser{parser: parser{limits: d.limits, out: new(network.Report), budget: budget{limit: d.limits.memory(), grow: grow}, kindSizes: map[string]int{}}}
	expanded, done, err := d.expander(in, encoding, grow)
	if err != nil {
		if in.err != nil {
			err = in.err
		}
		return Received{}, err
	}
	defer done()
	j.text = &jsonSource{from: expanded, left: d.limits.Decoded, decoder: d}
	j.dec = json.NewDecoder(j.text)
	err = j.report()
	switch {
	case in.err != nil:
		return Received{}, in.err
	case j.text.err != nil:
		return Received{}, j.text.err
	case j.err != nil:
		return Received{}, j.err
	case err != nil:
		return Received{}, err
	}
	return Received{Report: j.out, Wire: in.read, Memory: j.asked, Kinds: j.kindSizes}, nil
}

// expander undoes the content encoding.
func (d *Decoder) expander(in *source, encoding string, grow Grow) (_ io.Reader, done func(), _ error) {
	switch encoding {
	case "", "identity":
		return in, func() {}, nil
	case "gzip":
		z, err := gzip.NewReader(in)
		if err != nil {
			return nil, nil, invalid("its gzip stream is damaged or cut off: %w", err)
		}
		return z, func() {}, nil
	case "zstd":
		z, err := d.open(in, grow)
		if err != nil {
			return nil, nil, err
		}
		return z, func() { d.close(z) }, nil
	}
	return nil, nil, invalid("the content encoding %q is not known: use gzip or zstd", encoding)
}

// jsonSource hands the expanded text over, within the limit of all, and of
// what is read for one element.
type jsonSource struct {
	from    io.Reader
	decoder *Decoder
	left    int
	element int // bytes that may be read for the element at hand
	err     error
}

func (s *jsonSource) Read(b []byte) (int, error) {
	if s.element <= 0 {
		s.err = tooLarge("a row, or another member, has more than %d bytes", maxElement)
		return 0, s.err
	}
	n, err := s.from.Read(b[:min(len(b), s.element)])
	s.element -= n
	if s.left -= n; s.left < 0 {
		s.err = s.decoder.expands()
		return 0, s.err
	}
	if err != nil && !errors.Is(err, io.EOF) {
		s.err = s.damaged(err)
		return n, s.err
	}
	return n, err
}

func (s *jsonSource) damaged(err error) error {
	if errors.Is(err, zstd.ErrWindowSizeExceeded) || errors.Is(err, zstd.ErrDecoderSizeExceeded) {
		return s.decoder.expands()
	}
	return invalid("its compression is damaged or cut off: %w", err)
}

// jsonParser reads one report in JSON.
type jsonParser struct {
	parser
	text    *jsonSource
	dec     *json.Decoder
	records int // rows of all kinds of records
}

func (j *jsonParser) report() error {
	if err := j.delim('{'); err != nil {
		return err
	}
	for members := 0; j.more(); members++ {
		if members > 2*maxKinds {
			return tooLarge("more than %d members", 2*maxKinds)
		}
		token, err := j.dec.Token()
		if err != nil {
			return invalid("it is no JSON: %w", err)
		}
		name, _ := token.(string) // a key always is
		if err := j.member(name); err != nil {
			return err
		}
	}
	if err := j.delim('}'); err != nil {
		return err
	}
	if _, err := j.dec.Token(); !errors.Is(err, io.EOF) {
		return invalid("something follows the report: send one report at a time")
	}
	return checkValue(reflect.ValueOf(j.out).Elem().FieldByName("Health"), &j.limits)
}

func (j *jsonParser) more() bool {
	j.text.element = maxElement
	return j.dec.More()
}

func (j *jsonParser) delim(want json.Delim) error {
	j.text.element = maxElement
	token, err := j.dec.Token()
	if err != nil {
		return invalid("it is no JSON: %w", err)
	}
	if token != want {
		return invalid("it is no report: %q is expected where %v stands", want.String(), token)
	}
	return nil
}

// member reads one member of the report.
func (j *jsonParser) member(name string) error {
	r := j.out
	limit := j.limits.Rows
	switch name {
	case "flows":
		return jsonRows(j, name, limit, &r.Flows, func(f *network.Flow) bool { return tripWithin(f.ClientRTT, f.ServerRTT) })
	case "dns":
		return jsonRows(j, name, limit, &r.DNS, func(q *network.DNSQuery) bool { return q.Latency >= 0 && q.Latency <= maxLatency })
	case "tls":
		return jsonRows(j, name, limit, &r.TLS, func(*network.TLSHello) bool { return true })
	case "interfaces":
		return jsonRows(j, name, MaxInterfaces, &r.Interfaces, func(*network.Ledger) bool { return true })
	}
	if k, known := record.Find(name); known {
		return j.kindRows(k)
	}
	var into any = new(json.RawMessage)
	switch name {
	case "tap":
		into = &r.Tap
	case "boot":
		into = &r.Boot
	case "sequence":
		into = &r.Sequence
	case "start":
		into = &r.Start
	case "end":
		into = &r.End
	case "community_id_seed":
		into = &r.Seed
	case "health":
		into = &r.Health
	case "gap":
		into = &r.Gap
	}
	if err := j.value(into); err != nil {
		return invalid("%.64q: %w", name, err)
	}
	return nil
}

// value decodes one value, and checks what a packet may have put into it.
func (j *jsonParser) value(into any) error {
	j.text.element = maxElement
	before := j.dec.InputOffset()
	if err := j.dec.Decode(into); err != nil {
		return err
	}
	if !j.take(int(j.dec.InputOffset() - before)) { // its texts
		return j.err
	}
	if _, raw := into.(*json.RawMessage); raw {
		return nil
	}
	return checkValue(reflect.ValueOf(into).Elem(), &j.limits)
}

// rows calls each for the elements of a list, or not at all for null.
func (j *jsonParser) rows(name string, each func(n int) error) error {
	before := j.dec.InputOffset()
	defer func() { j.kindSizes[name] += int(j.dec.InputOffset() - before) }()
	j.text.element = maxElement
	token, err := j.dec.Token()
	switch {
	case err != nil:
		return invalid("%q: %w", name, err)
	case token == nil:
		return nil
	case token != json.Delim('['):
		return invalid("%q is no list", name)
	}
	for n := 0; j.more(); n++ {
		if err := each(n); err != nil {
			return err
		}
	}
	return j.delim(']')
}

// jsonRows reads a list of rows of a type.
func jsonRows[T any](j *jsonParser, name string, limit int, list *[]T, good func(*T) bool) error {
	return j.rows(name, func(n int) error {
		if len(*list) >= limit {
			return tooLarge("more than %d %s", limit, name)
		}
		var row T
		if !j.take(2 * int(unsafe.Sizeof(row))) { // a list grows by copying
			return j.err
		}
		if err := j.value(&row); err != nil {
			return invalid("%s %d: %w", name, n, err)
		}
		if !good(&row) {
			return invalid("%s %d: a duration is out of range", name, n)
		}
		*list = append(*list, row)
		return nil
	})
}

// kindRows reads a list of records.
func (j *jsonParser) kindRows(k *record.Kind) error {
	return j.rows(k.Name, func(n int) error {
		if j.records++; j.records > j.limits.Rows {
			return tooLarge("more than %d rows of records, at most that many are taken", j.limits.Rows)
		}
		if !j.take(2 * k.Size()) {
			return j.err
		}
		row := k.New()
		if err := j.value(row.Pointer()); err != nil {
			return invalid("%s %d: %w", k.Name, n, err)
		}
		k.Rows(&j.out.Records).Append(row)
		return nil
	})
}
