package gosdk_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/seed-e797c9ce/oauth/mcp/gosdk"
)

func TestCallerWithoutHandlerIsNobody(t *testing.T) {
	_, ok := gosdk.Caller(nil)
	assert.False(t, ok)
}
