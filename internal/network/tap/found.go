package tap

import (
	"github.com/rind-project/rind/internal/network"
	"github.com/rind-project/rind/internal/network/bluetooth"
	"github.com/rind-project/rind/internal/network/packet/parse"
	"github.com/rind-project/rind/internal/network/record"
)

// Bounds on what Bluetooth adds to a report.
const (
	foundRows = 8192
	foundText = 1 << 20
)

// found takes what is seen beside the interfaces: devices and drones over
// Bluetooth.
type found struct{ out *parse.Out }

// Cut appends to a report what was seen since the one before.
func (f *found) Cut(r *network.Report, w *bluetooth.Watcher) {
	if f.out == nil {
		f.out = parse.NewOut(foundRows, foundText)
	}
	w.Cut(f.out)
	rows := f.out.Cut()
	record.Append(&r.Records, &rows)
}
