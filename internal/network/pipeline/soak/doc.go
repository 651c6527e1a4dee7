// Package soak holds a test only: mutated captures through the whole pipeline,
// for seconds in every run of the tests and for ten minutes in `make nightly`.
package soak
