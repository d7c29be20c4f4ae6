package ecsapi

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestLimiter_CountsTheTokensThatAreLeft(t *testing.T) {
	l := NewLimiter(1e-6, 50)
	assert.Equal(t, 20, l.Available(20))
	for range 45 {
		require.NoError(t, l.Wait(t.Context()))
	}
	assert.Equal(t, 5, l.Available(20))
}

func TestLimiter_WaitsNoLongerThanItsContext(t *testing.T) {
	l := NewLimiter(1e-6, 1)
	require.NoError(t, l.Wait(t.Context()))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	assert.Error(t, l.Wait(ctx))
}

func TestLimiter_NilAllowsEveryCall(t *testing.T) {
	var none *Limiter
	assert.NoError(t, none.Wait(t.Context()))
	assert.Equal(t, 20, none.Available(20))
}
