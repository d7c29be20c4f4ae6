// Package ui has the web page of cluster-state-service, an explorer of clusters, container instances and tasks.
package ui

import (
	"embed"
	"net/http"

	"github.com/blox/blox/internal/ui"
)

//go:embed static
var static embed.FS

// Config is what the page reads at its start.
type Config struct {
	// SchedulerURL is where browsers reach the page of daemon-scheduler; empty if the page does not link to it.
	SchedulerURL string `json:"schedulerURL,omitempty"`
}

// Handler serves the page at / and its files at /page/<name>.
func Handler(cfg Config) http.Handler { return ui.Handler(static, cfg) }
