package version_test

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"

	"github.com/blox/blox/internal/testenv"
	"github.com/blox/blox/internal/version"
)

func TestRegister_ShowsTheBuild(t *testing.T) {
	registry := prometheus.NewRegistry()
	version.Register(registry, "probe")
	assert.Equal(t, 1.0, testenv.Metric(t, registry, "blox_build_info"))
}
