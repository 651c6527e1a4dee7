package tap

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
)

// table writes the status for people.
func (s *Status) table(out io.Writer, now time.Time) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	line := func(key, format string, args ...any) { fmt.Fprintf(w, key+"\t"+format+"\n", args...) }
	line("tap", "%s, %s, running for %s", s.Tap, dash(s.Version), short(now.Sub(s.Began)))
	line("reports", "%d, one every %s, boot %s", s.Reports, s.Interval, s.Boot)
	line("process", "%s of memory, %.1f s of CPU", bytesText(s.Memory), s.CPUSeconds)
	line("walls", "%s", s.Walls)
	line("spool", "%d reports, %s of %s, oldest %s of %s", s.Spool.Reports, bytesText(s.Spool.Bytes), bytesText(s.Spool.MaxBytes), short(s.Spool.Age), short(s.Spool.MaxAge))
	line("", "dropped %d, put aside %d, lost to the disk %d", s.Spool.Dropped, s.Spool.Quarantined, s.Spool.Lost)
	s.delivery(line, now)
	if q := s.Quarantine; q.Kept+q.Refused > 0 {
		line("quarantine", "%d packets on which a parser failed, and %d for which there was no room", q.Kept, q.Refused)
	}
	if s.Bluetooth != "" {
		line("bluetooth", "%s", s.Bluetooth)
	}
	s.configuration(line, now)
	if err := w.Flush(); err != nil {
		return err
	}
	for _, part := range []func(io.Writer){s.interfaces, s.ledgers, s.fragments, s.parsers} {
		fmt.Fprintln(out)
		w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
		part(w)
		if err := w.Flush(); err != nil {
			return err
		}
	}
	for _, i := range s.Interfaces {
		if i.Error != "" {
			fmt.Fprintf(out, "%s: %s\n", i.Interface, i.Error)
		}
	}
	return nil
}

func (s *Status) delivery(line func(string, string, ...any), now time.Time) {
	d := s.Delivery
	if d == nil {
		line("delivery", "to no node: run the command that `rind tap add NAME` prints")
		return
	}
	last := "none yet"
	if !d.LastSuccess.IsZero() {
		last = short(now.Sub(d.LastSuccess)) + " ago"
	}
	line("delivery", "to %s; last one %s", strings.Join(d.Nodes, ", "), last)
	line("", "committed %d, duplicates %d, put aside %d, tried again %d", d.Committed, d.Duplicates, d.Quarantined, d.Retries)
	if d.LastError != "" {
		line("", "error: %s", d.LastError)
	}
	if d.LastRefusal != "" {
		line("", "put aside last: %s", d.LastRefusal)
	}
	skew := "not known yet"
	if !d.LastSuccess.IsZero() || d.Skew != 0 {
		skew = fmt.Sprintf("the node's minus this host's: %+.1f s", d.Skew.Seconds())
	}
	line("clock", "%s", skew)
}

func (s *Status) configuration(line func(string, string, ...any), now time.Time) {
	line("configuration", "in force for %s; changed %d times, refused %d", short(now.Sub(s.Config.Loaded)), s.Config.Changes, s.Config.Refused)
	if s.Config.Error != "" {
		line("", "refused last: %s", strings.ReplaceAll(s.Config.Error, "\n", "; "))
	}
	if len(s.Config.Restart) > 0 {
		line("", "waits for a restart: %s", strings.Join(s.Config.Restart, ", "))
	}
}

func (s *Status) interfaces(w io.Writer) {
	fmt.Fprintln(w, "INTERFACE\tSTATE\tWORKERS\tBUSY\tRING\tUSED\tPEAK\tTIMES FULL\tFLOWS\tOF\tEVICTED\tJOINED\tFILTER")
	for _, i := range s.Interfaces {
		state, filter := "down", "all packets"
		if i.Up {
			state = "captured"
		}
		if i.Filter != "" {
			filter = i.Filter
		}
		fmt.Fprintf(w, "%s\t%s\t%d\t%.0f %%\t%s\t%s\t%s\t%d\t%d\t%d\t%d\t%d\t%s\n", i.Interface, state, i.Workers, 100*i.Busy, bytesText(i.RingBytes),
			percent(i.RingUsed, i.RingBytes), percent(i.RingPeak, i.RingBytes), i.RingFull, i.FlowsActive, i.FlowsMax, i.FlowsEvicted, i.Joined, filter)
	}
}

func (s *Status) ledgers(w io.Writer) {
	fmt.Fprintln(w, "LEDGER\tRECEIVED\tSUMMARISED\tDROPPED (KERNEL)\tDROPPED (TAP)\tMALFORMED\tHELD\tRELEASED\tBYTES")
	for _, i := range s.Interfaces {
		fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\n", i.Interface, i.Received, i.Summarised, i.DroppedKernel, i.DroppedPipeline,
			i.Malformed, i.HeldFragments, i.ReleasedFragments, i.Bytes)
	}
}

func (s *Status) fragments(w io.Writer) {
	fmt.Fprintln(w, "FRAGMENTS\tSEEN\tDATAGRAMS\tOVERLAPS\tGIVEN UP\tSKIPPED\tHELD")
	for _, i := range s.Interfaces {
		f := i.Fragments
		fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\t%d\t%s\n", i.Interface, f.Seen, f.Whole, f.Overlaps, f.GivenUp, f.Skipped, bytesText(f.HeldBytes))
	}
}

func (s *Status) parsers(w io.Writer) {
	fmt.Fprintln(w, "PARSER\tRECOGNISED\tTRANSACTIONS\tLEFT OUT\tMALFORMED\tGIVEN UP\tPANICS")
	for _, p := range s.Parsers {
		fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\t%d\t%d\n", p.Name, p.Recognised, p.Transactions, p.LeftOut, p.Malformed, p.GivenUp, p.Panics)
	}
}

// String says in a line which walls stand, and which do not.
func (w Walls) String() string {
	text := []string{"user " + strconv.Itoa(w.UID)}
	say := func(stands bool, yes, no string) {
		if stands {
			text = append(text, yes)
		} else {
			text = append(text, "NOT: "+no)
		}
	}
	say(w.Opener, "sockets from the opener", "a process of its own for sockets")
	say(strings.Trim(w.Capabilities, "0") == "", "no capability", "free of capabilities ("+w.Capabilities+")")
	say(w.NoNewPrivs, "no new privileges", "kept from new privileges")
	say(w.Seccomp, "system calls filtered", "confined to a list of system calls")
	return strings.Join(text, ", ")
}

func percent(n, of uint64) string {
	if of == 0 {
		return "-"
	}
	return fmt.Sprintf("%.0f %%", 100*float64(n)/float64(of))
}

// bytesText is a number of bytes with its unit.
func bytesText(n uint64) string {
	units := []string{"B", "KiB", "MiB", "GiB", "TiB"}
	v, u := float64(n), 0
	for v >= 1024 && u < len(units)-1 {
		v, u = v/1024, u+1
	}
	if u == 0 {
		return strconv.FormatUint(n, 10) + " B"
	}
	return fmt.Sprintf("%.1f %s", v, units[u])
}

// short is a duration for people.
func short(d time.Duration) string {
	if d >= time.Minute {
		return d.Round(time.Second).String()
	}
	return d.Round(100 * time.Millisecond).String()
}
