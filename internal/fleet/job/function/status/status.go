// Package status holds the functions about how the host is doing.
package status

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/rind-project/rind/internal/base/errs"
	"github.com/rind-project/rind/internal/fleet/job/function/local"
	"github.com/rind-project/rind/internal/fleet/job/function/schema"
)

// Runs are the functions status.*.
func Runs(s *local.System) map[string]schema.Run {
	return map[string]schema.Run{"status.load": load(s), "status.mem": mem(s), "status.uptime": uptime(s)}
}

// Load is the value of status.load.
type Load struct {
	One       float64 `json:"1m"`
	Five      float64 `json:"5m"`
	Fifteen   float64 `json:"15m"`
	Running   int     `json:"running"`
	Processes int     `json:"processes"` // and threads
	CPUs      int     `json:"cpus"`
}

func load(s *local.System) schema.Run {
	return func(context.Context, schema.Call) (schema.Result, error) {
		text, err := s.Read("proc/loadavg")
		if err != nil {
			return schema.Result{}, err
		}
		l, ok := parseLoad(text)
		if !ok {
			return schema.Result{}, errs.New(errs.Internal, "/proc/loadavg has an unknown form: %s", schema.Clip(text))
		}
		stat, err := s.Read("proc/stat")
		if err != nil {
			return schema.Result{}, err
		}
		for line := range strings.SplitSeq(stat, "\n") {
			if len(line) > 3 && strings.HasPrefix(line, "cpu") && line[3] != ' ' {
				l.CPUs++
			}
		}
		return schema.Result{Value: l}, nil
	}
}

// parseLoad reads proc_loadavg(5): "0.52 0.58 0.59 1/1042 12345".
func parseLoad(text string) (Load, bool) {
	w := strings.Fields(text)
	if len(w) < 4 {
		return Load{}, false
	}
	var l Load
	var err [5]error
	l.One, err[0] = number(w[0])
	l.Five, err[1] = number(w[1])
	l.Fifteen, err[2] = number(w[2])
	running, all, _ := strings.Cut(w[3], "/")
	l.Running, err[3] = strconv.Atoi(running)
	l.Processes, err[4] = strconv.Atoi(all)
	return l, err == [5]error{}
}

// number reads what a kernel would write; JSON has no form for the other
// values of a float.
func number(text string) (float64, error) {
	f, err := strconv.ParseFloat(text, 64)
	if err == nil && !(f >= 0 && f < 1e10) {
		err = strconv.ErrRange
	}
	return f, err
}

// Mem is the value of status.mem.
type Mem struct {
	Total     int64 `json:"total_bytes"`
	Used      int64 `json:"used_bytes"` // what is not available
	Available int64 `json:"available_bytes"`
	Free      int64 `json:"free_bytes"` // used for nothing at all
	Cached    int64 `json:"cached_bytes"`
	SwapTotal int64 `json:"swap_total_bytes"`
	SwapUsed  int64 `json:"swap_used_bytes"`
	Percent   int   `json:"used_percent"`
}

func mem(s *local.System) schema.Run {
	return func(context.Context, schema.Call) (schema.Result, error) {
		text, err := s.Read("proc/meminfo")
		if err != nil {
			return schema.Result{}, err
		}
		m := parseMem(text)
		if m.Total == 0 {
			return schema.Result{}, errs.New(errs.Internal, "/proc/meminfo does not say how much memory there is")
		}
		return schema.Result{Value: m}, nil
	}
}

// parseMem reads proc_meminfo(5). Kernels before 3.14 do not say what is
// available; free and cached are near to it.
func parseMem(text string) Mem {
	kib := map[string]int64{}
	for line := range strings.SplitSeq(text, "\n") {
		key, rest, _ := strings.Cut(line, ":")
		if w := strings.Fields(rest); len(w) > 0 {
			if n, err := strconv.ParseInt(w[0], 10, 64); err == nil && n >= 0 && n < 1<<52 {
				kib[key] = n * 1024
			}
		}
	}
	available, ok := kib["MemAvailable"]
	if !ok {
		available = kib["MemFree"] + kib["Cached"] + kib["Buffers"]
	}
	m := Mem{Total: kib["MemTotal"], Available: available, Free: kib["MemFree"], Cached: kib["Cached"] + kib["Buffers"],
		SwapTotal: kib["SwapTotal"], SwapUsed: max(0, kib["SwapTotal"]-kib["SwapFree"])}
	if m.Used = max(0, m.Total-available); m.Total > 0 {
		m.Percent = int(float64(m.Used) / float64(m.Total) * 100)
	}
	return m
}

// Uptime is the value of status.uptime.
type Uptime struct {
	Seconds int64     `json:"seconds"`
	Text    string    `json:"text"`
	Since   time.Time `json:"since"`
}

func uptime(s *local.System) schema.Run {
	return func(context.Context, schema.Call) (schema.Result, error) {
		text, err := s.Read("proc/uptime")
		if err != nil {
			return schema.Result{}, err
		}
		first, _, _ := strings.Cut(text, " ")
		secs, err := number(strings.TrimSpace(first))
		if err != nil {
			return schema.Result{}, errs.New(errs.Internal, "/proc/uptime has an unknown form: %s", schema.Clip(text))
		}
		n := int64(secs)
		return schema.Result{Value: Uptime{Seconds: n, Text: words(n), Since: time.Now().Add(-time.Duration(n) * time.Second).UTC().Truncate(time.Second)}}, nil
	}
}

// words are "3d 4h 5m".
func words(secs int64) string {
	d, h, m := secs/86400, secs/3600%24, secs/60%60
	switch {
	case d > 0:
		return strconv.FormatInt(d, 10) + "d " + strconv.FormatInt(h, 10) + "h " + strconv.FormatInt(m, 10) + "m"
	case h > 0:
		return strconv.FormatInt(h, 10) + "h " + strconv.FormatInt(m, 10) + "m"
	}
	return strconv.FormatInt(m, 10) + "m"
}
