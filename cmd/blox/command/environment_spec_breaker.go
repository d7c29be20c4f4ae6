package command

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/blox/blox/swagger/daemon-scheduler/v1/models"
)

// Values of --circuit-breaker.
const (
	breakerOff      = "off"
	breakerPause    = "pause"
	breakerRollback = "rollback"
)

// breakerModes maps the values of --circuit-breaker to fields of the circuit breaker.
var breakerModes = map[string]map[string]any{
	breakerOff:      {"enable": false, "rollback": false},
	breakerPause:    {"enable": true, "rollback": false},
	breakerRollback: {"enable": true, "rollback": true},
}

// breakerMode returns the fields of the circuit breaker that --circuit-breaker sets.
func (s *environmentSpec) breakerMode() (map[string]any, error) {
	fields, known := breakerModes[s.breaker]
	if !known {
		return nil, fmt.Errorf("%q: must be off, pause or rollback", s.breaker)
	}
	return fields, nil
}

// breakerThreshold returns the fields of the circuit breaker that --circuit-breaker-threshold sets.
func (s *environmentSpec) breakerThreshold() (map[string]any, error) {
	digits, isPercent := strings.CutSuffix(s.threshold, "%")
	value, err := strconv.ParseInt(digits, 10, 32)
	if err != nil || value < 1 {
		return nil, fmt.Errorf("%q: must be a number such as 5, or a percentage such as 25%%", s.threshold)
	}
	if isPercent {
		threshold := map[string]any{"type": models.CircuitBreakerThresholdTypeBOUNDEDPERCENT, "value": value}
		return s.exclusive("thresholdConfiguration", threshold, "threshold"), nil
	}
	return s.exclusive("threshold", value, "thresholdConfiguration"), nil
}
