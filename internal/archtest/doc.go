// Package archtest turns the rules of the architecture into tests: who may
// import whom, and what each binary may link. It has no code of its own.
package archtest
