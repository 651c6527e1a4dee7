package filter

import (
	"slices"

	"golang.org/x/net/bpf"
)

// The operations of the classic filter machine that are used (bpf(4)).
const (
	opLoadWord, opLoadHalf, opLoadByte          = 0x20, 0x28, 0x30 // A = P[k:size]
	opIndexWord, opIndexHalf, opIndexByte       = 0x40, 0x48, 0x50 // A = P[X+k:size]
	opLoadConst, opLoadMem, opLoadLen           = 0x00, 0x60, 0x80 // A = k, M[k], length
	opLoadXMem, opLoadXIHL                      = 0x61, 0xb1       // X = M[k], 4*(P[k:1]&0xf)
	opStore                                     = 0x02             // M[k] = A
	opAdd, opSub, opMul, opDiv                  = 0x04, 0x14, 0x24, 0x34
	opOr, opAnd, opShiftL, opShiftR, opMod, opX = 0x44, 0x54, 0x64, 0x74, 0x94, 0x08
	opXor, opNeg                                = 0xa4, 0x84
	opTAX, opTXA                                = 0x07, 0x87
	opJump                                      = 0x05
	opEqual, opGreater, opGreaterEqual, opSet   = 0x15, 0x25, 0x35, 0x45 // A == k, A > k, A >= k, A & k; with opX against X
	opReturn                                    = 0x06
)

// ins is an instruction without jumps.
type ins struct {
	op uint16
	k  uint32
}

// condition is a tree of tests that is true or false of a packet.
type condition struct {
	kind  byte // & | ! t(est) e(ffect) 1 0
	a, b  *condition
	steps []ins  // of a test or an effect
	op    uint16 // of a test: the jump
	k     uint32
}

func and(a, b *condition) *condition { return &condition{kind: '&', a: a, b: b} }
func or(a, b *condition) *condition  { return &condition{kind: '|', a: a, b: b} }
func not(a *condition) *condition    { return &condition{kind: '!', a: a} }

func always(v bool) *condition {
	if v {
		return &condition{kind: '1'}
	}
	return &condition{kind: '0'}
}

// effect runs steps and is true.
func effect(steps ...ins) *condition { return &condition{kind: 'e', steps: steps} }

// test runs steps and then compares the accumulator.
func test(steps []ins, op uint16, k uint32) *condition {
	return &condition{kind: 't', steps: steps, op: op, k: k}
}

func equal(steps []ins, k uint32) *condition { return test(steps, opEqual, k) }

// masked compares some bits.
func masked(steps []ins, mask, k uint32) *condition {
	if mask == 0 {
		return always(true)
	}
	if mask != 0xffffffff {
		steps = append(slices.Clip(steps), ins{opAnd, mask})
	}
	return equal(steps, k)
}

// assembler writes a program from its end to its beginning, so that the place
// of every jump's target is known. A place is counted from the end.
type assembler struct{ back []bpf.RawInstruction }

// scratchShift is the scratch word that holds where the frame begins to be
// shifted: 0, or 4 behind a VLAN tag that is in the frame.
const scratchShift = 0

// assemble makes a program that returns keep where the condition is true, and
// 0 elsewhere.
func assemble(c *condition, keep uint32, shifts bool) []bpf.RawInstruction {
	var a assembler
	no := a.put(opReturn, 0)
	yes := a.put(opReturn, keep)
	begin := a.condition(c, yes, no)
	if begin != len(a.back)-1 { // the program begins with what was written last
		a.jump(begin)
	}
	if shifts {
		a.put(opStore, scratchShift)
		a.put(opLoadConst, 0)
	}
	slices.Reverse(a.back)
	return a.back
}

func (a *assembler) put(op uint16, k uint32) int {
	a.back = append(a.back, bpf.RawInstruction{Op: op, K: k})
	return len(a.back) - 1
}

func (a *assembler) jump(to int) int { return a.put(opJump, uint32(len(a.back)-to-1)) }

// near returns a place that a conditional jump reaches from here: the target,
// or a jump to it. room is left for other instructions in between.
func (a *assembler) near(to, room int) int {
	if len(a.back)+room-to-1 <= 255 {
		return to
	}
	return a.jump(to)
}

// condition writes a condition that goes to yes or no; it returns where it begins.
func (a *assembler) condition(c *condition, yes, no int) int {
	switch c.kind {
	case '&':
		return a.condition(c.a, a.condition(c.b, yes, no), no)
	case '|':
		return a.condition(c.a, yes, a.condition(c.b, yes, no))
	case '!':
		return a.condition(c.a, no, yes)
	case '1':
		return yes
	case '0':
		return no
	}
	begin := 0
	if c.kind == 'e' {
		begin = yes
		if begin != len(a.back)-1 {
			begin = a.jump(yes)
		}
	} else {
		no = a.near(no, 1)
		yes = a.near(yes, 0)
		at := len(a.back)
		begin = at
		a.back = append(a.back, bpf.RawInstruction{Op: c.op, K: c.k, Jt: uint8(at - yes - 1), Jf: uint8(at - no - 1)})
	}
	for _, s := range slices.Backward(c.steps) {
		begin = a.put(s.op, s.k)
	}
	return begin
}
