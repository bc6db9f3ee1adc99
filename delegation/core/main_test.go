package core_test

import (
	"testing"

	"go.uber.org/goleak"
)

// Constructors start nothing, and what runs stops before it returns.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
