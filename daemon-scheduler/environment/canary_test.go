package environment

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestSpecsInEffect_AreThoseOfBothDeploymentsUntilThePromotion(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	const first, second = "11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222"
	e := Create("logs", "arn:cluster", first, Spec{TaskDefinition: "agent:1", DrainOrder: 1}, at)
	orders := func(e Environment) map[string]int {
		found := map[string]int{}
		for id, spec := range e.SpecsByDeployment() {
			found[id] = spec.DrainOrder
		}
		return found
	}
	assert.Len(t, e.SpecsInEffect(), 1)
	assert.Empty(t, orders(e))

	e, err := e.Deploy("d1", first, at)
	require.NoError(t, err)
	e, _ = e.RecordProgress("d1", Progress{Status: Completed}, at)
	assert.Equal(t, map[string]int{"d1": 1}, orders(e))

	next := Spec{TaskDefinition: "agent:2", DrainOrder: 2}
	next.DeploymentConfiguration.Canary = &Canary{Percent: 10}
	e, err = e.Update(next, first, second, at.Add(time.Minute))
	require.NoError(t, err)
	e, err = e.Deploy("d2", second, at.Add(time.Minute))
	require.NoError(t, err)
	assert.True(t, e.AwaitsPromotion())
	assert.Len(t, e.SpecsInEffect(), 2)
	assert.Equal(t, map[string]int{"d1": 1, "d2": 2}, orders(e))

	e, err = e.Promote("d2")
	require.NoError(t, err)
	assert.False(t, e.AwaitsPromotion())
	assert.Equal(t, map[string]int{"d1": 2, "d2": 2}, orders(e))
}
