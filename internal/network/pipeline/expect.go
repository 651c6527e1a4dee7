package pipeline

import (
	"github.com/rind-project/rind/internal/network/capture"
	"github.com/rind-project/rind/internal/network/flow"
	"github.com/rind-project/rind/internal/network/packet"
)

var _ capture.Expecter = (*Pipeline)(nil)

// Expect brings near what the flows of frames that are to come need.
func (p *Pipeline) Expect(link packet.LinkType, frames [][]byte) {
	p.coming, p.came = 0, 0
	if link != packet.LinkEthernet {
		return
	}
	for _, b := range frames[:min(len(frames), len(p.glimpses))] {
		if g := &p.glimpses[p.coming]; !packet.Glance(b, g) {
			g.Proto = 0
		}
		p.coming++
	}
	p.table.Expect(p.glimpses[:p.coming], &p.near)
	for _, n := range p.near[:p.coming] {
		if n == 0 {
			continue
		}
		if r := p.table.At(n); r.Handle&datagramRows == 0 && !r.Done {
			p.streams.Expect(r.Handle)
		}
	}
}

// nearby is where the flow of the packet in hand was seen when it was expected.
func (p *Pipeline) nearby() flow.Near {
	if p.came == p.coming {
		return 0
	}
	p.came++
	return p.near[p.came-1]
}
