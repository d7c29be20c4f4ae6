// Package ui has the web page of daemon-scheduler: one page that the browser draws from the API's streams, and whose
// actions are requests of the API.
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
	ReadOnly bool `json:"readOnly"` // the page has no actions
	// ExplorerURL is where browsers reach the page of cluster-state-service; empty if the page links to none.
	ExplorerURL string `json:"explorerURL,omitempty"`
}

// Handler serves the page at / and its files at /page/<name>.
func Handler(config Config) http.Handler { return ui.Handler(static, config) }
