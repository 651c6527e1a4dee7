#include "textflag.h"

// func each(at *uintptr, n, lines int)
TEXT ·each(SB), NOSPLIT, $0-24
	MOVD at+0(FP), R0
	MOVD n+8(FP), R1
	MOVD lines+16(FP), R2
address:
	MOVD (R0), R3
	MOVD R2, R4
line:
	PRFM (R3), PLDL1KEEP
	ADD  $64, R3
	SUB  $1, R4
	CBNZ R4, line
	ADD  $8, R0
	SUB  $1, R1
	CBNZ R1, address
	RET
