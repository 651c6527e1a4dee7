package flow

import "github.com/rind-project/rind/internal/network"

// BothPorts returns the ports by side.
func (r *Record) BothPorts() [2]uint16 {
	a, b := r.Ports()
	return [2]uint16{a, b}
}

// Session writes who talks to whom, seen with one side as the client. The
// time is left as it is.
func (r *Record) Session(s *network.Session, client int) {
	ports := r.BothPorts()
	s.Client, s.Server = r.Addr(client), r.Addr(1-client)
	s.ClientPort, s.ServerPort = ports[client], ports[1-client]
	s.Proto, s.VLAN = network.Proto(r.proto()), uint16(r.key[4]>>12)&0xfff
}

// Hole returns the first sequence number that is missing below those that a
// side was seen to send, when some are: the latest such hole.
func (r *Record) Hole(side int) (from uint32, ok bool) {
	h := &r.hole[side]
	return h.from, h.from != h.to
}
