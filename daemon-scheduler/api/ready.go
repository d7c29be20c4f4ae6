package api

import (
	"net/http"

	"github.com/blox/blox/internal/httpserver"
)

func (h *handler) ping(w http.ResponseWriter, _ *http.Request) error {
	writeEmpty(w)
	return nil
}

// ready responds with 200 if etcd responds and the cluster state is fresh. It does not matter which replica leads.
func (h *handler) ready(w http.ResponseWriter, r *http.Request) error {
	readiness := h.Status.Readiness(r.Context())
	code := http.StatusOK
	if len(readiness.Reasons) > 0 {
		code = http.StatusServiceUnavailable
	}
	httpserver.JSON(w, code, showReadiness(readiness))
	return nil
}
