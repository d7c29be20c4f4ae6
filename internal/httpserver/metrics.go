package httpserver

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Metrics counts and times requests by route and code. Streams are counted when they end, and not timed.
func Metrics(registerer prometheus.Registerer) Option {
	with := promauto.With(registerer)
	requests := with.NewCounterVec(prometheus.CounterOpts{
		Name: "blox_http_requests_total", Help: "Requests answered, by route, method and code.",
	}, []string{"route", "method", "code"})
	seconds := with.NewHistogramVec(prometheus.HistogramOpts{
		Name: "blox_http_request_duration_seconds", Help: "Time to answer a request, by route; without streams.",
		Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
	}, []string{"route"})
	return func(s *settings) {
		s.observe = func(r *http.Request, code int, took time.Duration) {
			route := route(r)
			requests.WithLabelValues(route, method(r.Method), strconv.Itoa(code)).Inc()
			if !strings.Contains(route, "/stream/") {
				seconds.WithLabelValues(route).Observe(took.Seconds())
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
