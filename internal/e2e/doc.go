// Package e2e tests the real binaries as a person would use them: built,
// started on free ports in a temporary folder, killed and started again. It
// has no code of its own.
package e2e
