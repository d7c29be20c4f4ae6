package version

import (
	"runtime"

	"github.com/prometheus/client_golang/prometheus"
)

// Register registers blox_build_info, which has the same name in every program so that one query shows all versions.
func Register(registerer prometheus.Registerer, component string) {
	registerer.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "blox_build_info",
		Help: "Always 1; the labels hold the program, its version, commit and Go version.",
		ConstLabels: prometheus.Labels{
			"component": component, "version": Version, "commit": Commit, "go_version": runtime.Version(),
		},
	}, func() float64 { return 1 }))
}
