// Package ui has the web page of daemon-scheduler.
package ui

import (
	"embed"
	"net/http"

	"github.com/blox/blox/internal/ui"
)

//go:embed static
var static embed.FS

// config is what the page reads at its start.
type config struct{}

// Handler serves the page at / and its files at /page/<name>.
func Handler() http.Handler { return ui.Handler(static, config{}) }
