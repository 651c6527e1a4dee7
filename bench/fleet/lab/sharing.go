package lab

import (
	"context"
	"os"
	"os/exec"
)

// Sharing is how a process shares the processors with the others of a run.
type Sharing struct {
	Env []string // beside that of this process
	// Batch runs it under SCHED_BATCH (sched(7)): it is not put in the place of
	// another process as soon as something comes for it, but takes up what has
	// come meanwhile when its turn comes. Where each connection of thousands
	// wakes several of a dozen processes on two processors, going from one to
	// the other is else a third of all work.
	Batch bool
}

// command is a program that shares the processors so, with a niceness where one
// is given.
func (s Sharing) command(niceness, name string, args ...string) *exec.Cmd {
	words := append([]string{name}, args...)
	if niceness != "" {
		words = append([]string{"nice", "-n", niceness}, words...)
	}
	if s.Batch {
		words = append([]string{"chrt", "--batch", "0"}, words...)
	}
	cmd := exec.CommandContext(context.Background(), words[0], words[1:]...)
	cmd.Env = append(os.Environ(), s.Env...)
	return cmd
}
