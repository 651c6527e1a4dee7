package pipeline_test

import (
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/capture"
	"github.com/rind-project/rind/internal/network/packet"
	"github.com/rind-project/rind/internal/network/pipeline"
)

// elsewhere are the kinds that packets of our own captures cannot fill.
var elsewhere = map[string]string{
	"bluetooth": "comes from the host's adapter, not from packets",
}

// TestEveryKind puts the captures beside the parsers through a pipeline: each
// kind of record comes out, so that no parser is left unconnected.
func TestEveryKind(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../packet/*/testdata/*.pcap")
	if err != nil || len(files) == 0 {
		t.Fatalf("no captures: %v", err)
	}
	rows := map[string]int{}
	add := func(r network.Report) error {
		v := reflect.ValueOf(r.Records)
		for i := range v.NumField() {
			name, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("json"), ",")
			rows[name] += v.Field(i).Len()
		}
		rows["dns"] += len(r.DNS)
		rows["tls"] += len(r.TLS)
		if l := r.Interfaces[0]; !l.Balanced() {
			t.Errorf("%+v", l)
		}
		return nil
	}
	radio := pipeline.New(pipeline.Config{}) // no radio is here to record with
	for i, f := range onAir() {
		radio.Packet(int64(i), packet.LinkRadiotap, f, len(f))
	}
	_ = add(radio.Finish(time.Unix(1, 0)))
	for _, path := range files {
		f, err := capture.OpenFile(t.Context(), path, capture.FileOptions{})
		if err != nil {
			t.Fatal(err)
		}
		p := pipeline.New(pipeline.Config{MaxFlows: 4096, Interface: path})
		err = pipeline.ReadFile(t.Context(), f, p, add)
		f.Close()
		if err != nil {
			t.Errorf("%s: %v", path, err)
		}
		if c := p.Counters(); c.Panicked != 0 {
			t.Errorf("%s: %d packets made a parser panic", path, c.Panicked)
		}
	}
	for kind, n := range rows {
		if why := elsewhere[kind]; (why == "") != (n > 0) {
			t.Errorf("%d rows of the kind %s (%s)", n, kind, why)
		}
	}
}
