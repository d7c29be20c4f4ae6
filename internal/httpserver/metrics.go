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

// WithMetrics counts and times requests by route and code. Streams are counted when they end, and not timed.
func WithMetrics(registerer prometheus.Registerer) Option {
	with := promauto.With(registerer)
	requests := with.NewCounterVec(prometheus.CounterOpts{
		Name: "http_requests_total", Help: "Requests answered, by route, method and code.",
	}, []string{"route", "method", "code"})
	seconds := with.NewHistogramVec(prometheus.HistogramOpts{
		Name: "http_request_duration_seconds", Help: "Time to answer a request, by route and code; without streams.",
		Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
	}, []string{"route", "code"})
	type kind struct {
		pattern, method string
		code            int
	}
	type series struct {
		requests prometheus.Counter
		seconds  prometheus.Observer // nil for streams
	}
	var known sync.Map // of kind to series: looking labels up costs more than counting
	return func(s *settings) {
		s.observe = func(r *http.Request, code int, took time.Duration) {
			of := kind{r.Pattern, method(r.Method), code}
			found, is := known.Load(of)
			if !is {
				route := route(r)
				code := strconv.Itoa(code)
				its := series{requests: requests.WithLabelValues(route, of.method, code)}
				if !strings.Contains(route, "/stream/") {
					its.seconds = seconds.WithLabelValues(route, code)
				}
				found, _ = known.LoadOrStore(of, its)
			}
			its := found.(series)
			its.requests.Inc()
			if its.seconds != nil {
				its.seconds.Observe(took.Seconds())
			}
		}
	}
}

// MetricsHandler shows what a registry has gathered, in Prometheus's text form.
func MetricsHandler(gatherer prometheus.Gatherer) http.Handler {
	return promhttp.HandlerFor(gatherer, promhttp.HandlerOpts{})
}

// route is the pattern of the mux without its method; what no client can multiply.
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

// method is one of those that have a meaning here: any other word is the client's invention.
func method(m string) string {
	switch m {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
		return m
	}
	return "other"
}
