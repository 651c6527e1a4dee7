#include "textflag.h"

// func each(at *uintptr, n, lines int)
TEXT ·each(SB), NOSPLIT, $0-24
	MOVQ at+0(FP), AX
	MOVQ n+8(FP), CX
	MOVQ lines+16(FP), BX
address:
	MOVQ (AX), DX
	MOVQ BX, SI
line:
	PREFETCHT0 (DX)
	ADDQ $64, DX
	DECQ SI
	JNZ  line
	ADDQ $8, AX
	DECQ CX
	JNZ  address
	RET
