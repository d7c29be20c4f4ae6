package httpserver

import (
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// WithMetrics counts and times requests by route and code. Streams are counted when they end and not timed. The names
// have no prefix: services register them through prometheus.WrapRegistererWithPrefix.
func WithMetrics(registerer prometheus.Registerer) Option {
	with := promauto.With(registerer)
	requests := with.NewCounterVec(prometheus.CounterOpts{
		Name: "http_requests_total", Help: "HTTP requests by route, method and status code.",
	}, []string{"route", "method", "code"})
	seconds := with.NewHistogramVec(prometheus.HistogramOpts{
		Name: "http_request_duration_seconds", Help: "Duration of HTTP requests by route and status code, without streams.",
		Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
	}, []string{"route", "code"})
	type labels struct {
		pattern, method string
		code            int
	}
	type series struct {
		requests prometheus.Counter
		duration prometheus.Observer // nil for streams
	}
	var cached sync.Map // of labels to series: a look-up by label values would cost more than the count itself
	return func(s *settings) {
		s.observe = func(r *http.Request, code int, took time.Duration) {
			key := labels{r.Pattern, method(r.Method), code}
			found, ok := cached.Load(key)
			if !ok {
				route := route(r)
				code := strconv.Itoa(code)
				created := series{requests: requests.WithLabelValues(route, key.method, code)}
				if !strings.Contains(route, "/stream/") {
					created.duration = seconds.WithLabelValues(route, code)
				}
				found, _ = cached.LoadOrStore(key, created)
			}
			metrics := found.(series)
			metrics.requests.Inc()
			if metrics.duration != nil {
				metrics.duration.Observe(took.Seconds())
			}
		}
	}
}

// Registry registers metrics and gathers them. prometheus.NewRegistry returns one.
type Registry interface {
	prometheus.Registerer
	prometheus.Gatherer
}

// MetricsHandler serves a registry's metrics in Prometheus's text format.
func MetricsHandler(gatherer prometheus.Gatherer) http.Handler {
	return promhttp.HandlerFor(gatherer, promhttp.HandlerOpts{})
}

// route is the mux's pattern without its method, so the label's values are bounded.
func route(r *http.Request) string {
	_, path, found := strings.Cut(r.Pattern, " ")
	switch {
	case found:
		return path
	case r.Pattern != "":
		return r.Pattern
	}
	return "none"
}

// method returns m if it is a standard method, else other, so the label's values are bounded.
func method(m string) string {
	switch m {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut,
		http.MethodPatch, http.MethodDelete, http.MethodOptions:
		return m
	}
	return "other"
}
