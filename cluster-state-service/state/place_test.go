package state

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestPlaceFilter_RejectsWhatIsNoAccount(t *testing.T) {
	for _, raw := range []string{
		"account=prod", "account=123456789012,1", "account=!12345678901x", "account=!", "region=,",
	} {
		for _, kind := range []Kind{KindTask, KindInstance} {
			_, err := parse(t, kind, raw)
			assert.ErrorIs(t, err, ErrInvalidParameter, raw)
		}
	}
}

func TestPlaceFilter_MatchesNoMalformedCluster(t *testing.T) {
	f := PlaceFilter{Region: Values{List: []string{"us-east-1"}, Excluded: true}}
	assert.True(t, f.Matches("arn:aws:ecs:eu-west-1:123456789012:cluster/prod"))
	assert.False(t, f.Matches("prod"), "its region is unknown")
	assert.True(t, PlaceFilter{}.Matches("prod"))
}
