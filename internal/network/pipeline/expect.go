package pipeline

import (
	"github.com/rind-project/rind/internal/network/capture"
	"github.com/rind-project/rind/internal/network/flow"
	"github.com/rind-project/rind/internal/network/packet"
)

var _ capture.Expecter = (*Pipeline)(nil)

// Expect brings near what the flows of frames that are to come need.
func (p *Pipeline) Expect(link packet.LinkType, frames [][]byte) {
	if link != packet.LinkEthernet {
		return
	}
	var list [flow.MaxExpect]packet.Glimpse
	n := 0
	for _, b := range frames[:min(len(frames), len(list))] {
		if packet.Glance(b, &list[n]) {
			n++
		}
	}
	p.table.Expect(list[:n])
}
