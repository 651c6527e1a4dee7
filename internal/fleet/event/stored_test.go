package event

import "testing"

func TestGlob(t *testing.T) {
	t.Parallel()
	for pattern, names := range map[string]map[string]bool{
		"":         {"a": true, "job/done": true},
		"*":        {"a.b": true, "job/done": true},
		"disk.*":   {"disk.full": true, "disk.a.b": true, "disk": false, "xdisk.a": false},
		"job/*":    {"job/done": true, "job.done": false},
		"job?done": {"job/done": true, "job.done": true},
		"*.full":   {"disk.full": true, "full": false},
		"[ab].x":   {"a.x": true, "c.x": false},
	} {
		g, err := parseGlob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for name, want := range names {
			if g.match(name) != want {
				t.Errorf("%q matches %q is %v", pattern, name, !want)
			}
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("jobevt.j1", []byte(`{"event":"done","job":{"by":"x"}}`))
	f.Add("event.a.x", []byte(`{"name":"x"}`))
	f.Fuzz(func(t *testing.T, subject string, data []byte) {
		if e, err := parse(1, subject, data); err == nil && (e.Name == "" || e.Seq != 1) {
			t.Errorf("%+v", e)
		}
	})
}
