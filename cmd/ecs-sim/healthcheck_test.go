package main

import (
	"io"
	"net"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/internal/ecssim"
)

func TestRun_ChecksWhetherTheSimulatorServes(t *testing.T) {
	sim := ecssim.New(ecssim.Config{})
	server := httptest.NewServer(sim)
	t.Cleanup(func() { sim.Close(); server.Close() })
	_, port, err := net.SplitHostPort(server.Listener.Addr().String())
	require.NoError(t, err)

	assert.NoError(t, run(t.Context(), []string{"--healthcheck", "--bind", "127.0.0.1:" + port}, noEnv, io.Discard))
	assert.NoError(t, run(t.Context(), []string{"--healthcheck"}, func(name string) string {
		return map[string]string{"ECS_SIM_BIND": "0.0.0.0:" + port}[name]
	}, io.Discard), "an address of all interfaces is checked locally")

	server.Close()
	assert.Error(t, run(t.Context(), []string{"--healthcheck", "--bind", "127.0.0.1:" + port}, noEnv, io.Discard))
	assert.Error(t, run(t.Context(), []string{"--healthcheck", "--bind", "nowhere"}, noEnv, io.Discard))
}

func TestRun_RejectsInvalidTaskDefinitions(t *testing.T) {
	args := []string{"--bind", "127.0.0.1:0", "--task-definition", "a b"}
	assert.ErrorContains(t, run(t.Context(), args, noEnv, io.Discard), "a b")
}
