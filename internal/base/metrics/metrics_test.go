package metrics

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rind-project/rind/internal/base/version"
)

func scrape(t *testing.T, reg *prometheus.Registry) (code int, body string) {
	t.Helper()
	w := httptest.NewRecorder()
	Handler(reg).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", http.NoBody))
	return w.Code, w.Body.String()
}

func TestHandler(t *testing.T) {
	t.Parallel()
	reg := New()
	losses := prometheus.NewCounter(prometheus.CounterOpts{Name: "rind_losses_total", Help: "Losses."})
	reg.MustRegister(losses)
	losses.Add(3)
	code, body := scrape(t, reg)
	if code != http.StatusOK {
		t.Errorf("got %d", code)
	}
	v := version.Get()
	for _, want := range []string{
		"\nrind_losses_total 3\n", "\ngo_goroutines ", "\nprocess_resident_memory_bytes ", "\npromhttp_metric_handler_requests_in_flight ",
		`rind_build_info{commit="` + v.Commit + `",go="` + v.Go + `",version="` + v.Version + `"} 1`,
	} {
		if !strings.Contains(body, want) {
			t.Errorf("no %q", want)
		}
	}
}

type failing struct{ desc *prometheus.Desc }

func (f failing) Describe(ch chan<- *prometheus.Desc) { ch <- f.desc }
func (f failing) Collect(ch chan<- prometheus.Metric) {
	ch <- prometheus.NewInvalidMetric(f.desc, errors.New("broken"))
}

// One broken collector does not take the others with it.
func TestBrokenCollector(t *testing.T) {
	t.Parallel()
	reg := New()
	reg.MustRegister(failing{prometheus.NewDesc("rind_broken", "Broken.", nil, nil)})
	if code, body := scrape(t, reg); code != http.StatusOK || !strings.Contains(body, "rind_build_info{") {
		t.Errorf("got %d %.200s", code, body)
	}
	if _, body := scrape(t, reg); !strings.Contains(body, `promhttp_metric_handler_errors_total{cause="gathering"} 1`) {
		t.Error("the failure is not counted")
	}
}

// Registries are independent: two daemons in one process do not collide.
func TestTwoRegistries(t *testing.T) {
	t.Parallel()
	for range 2 {
		New().MustRegister(prometheus.NewCounter(prometheus.CounterOpts{Name: "rind_x_total", Help: "X."}))
	}
}
