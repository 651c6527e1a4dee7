// Package tap is the tap's runtime: it captures on interfaces, closes a report
// every few seconds, spools it and has it delivered. It also reads capture
// files (rind-tap read).
package tap
