package jose

import (
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestCacheRemembers(t *testing.T) {
	c := NewCache[int](8)
	_, ok := c.Get("a")
	assert.False(t, ok)
	c.Put("a", 1)
	c.Put("b", 2)
	c.Put("a", 3)
	v, ok := c.Get("a")
	assert.True(t, ok)
	assert.Equal(t, 3, v)
	c.Delete("a")
	_, ok = c.Get("a")
	assert.False(t, ok)
	_, ok = c.Get("b")
	assert.True(t, ok)
}

func TestCacheForgetsBothHalves(t *testing.T) {
	c := NewCache[int](4)
	for i := range 3 {
		c.Put(strconv.Itoa(i), i) // 0 and 1 are in the older half then
	}
	c.Get("0") // and 0 in both
	c.Delete("0")
	_, ok := c.Get("0")
	assert.False(t, ok)
}

func TestCacheIsBounded(t *testing.T) {
	for _, size := range []int{0, 1, 2, 10} {
		c := NewCache[int](size)
		for i := range 1000 {
			c.Put(strconv.Itoa(i), i)
			v, ok := c.Get(strconv.Itoa(i))
			assert.True(t, ok, "the last one is there")
			assert.Equal(t, i, v)
			assert.LessOrEqual(t, len(c.now)+len(c.old), max(size, 2))
		}
	}
}

func TestCacheTakesNoRoomForWhatItHas(t *testing.T) {
	c := NewCache[int](4)
	for _, token := range []string{"a", "b", "a", "c", "d"} {
		c.Put(token, 1)
	}
	_, ok := c.Get("b")
	assert.True(t, ok)
}

func TestCacheKeepsWhatIsAskedFor(t *testing.T) {
	c := NewCache[int](10)
	c.Put("kept", 1)
	for i := range 100 {
		c.Put(strconv.Itoa(i), i)
		_, ok := c.Get("kept")
		assert.True(t, ok)
	}
}

func TestCacheTakesNoLongTokens(t *testing.T) {
	c := NewCache[int](10)
	long := strings.Repeat("a", maxCachedToken+1)
	c.Put(long, 1)
	_, ok := c.Get(long)
	assert.False(t, ok)
	assert.Empty(t, c.now)
	c.Put(long[1:], 1)
	_, ok = c.Get(long[1:])
	assert.True(t, ok)
}

func TestCacheIsSafeForConcurrentUse(t *testing.T) {
	c := NewCache[int](16)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for i := range 1000 {
				token := strconv.Itoa(i % 40)
				if v, ok := c.Get(token); ok {
					assert.Equal(t, i%40, v)
				}
				c.Put(token, i%40)
				if i%7 == 0 {
					c.Delete(token)
				}
			}
		})
	}
	wg.Wait()
}
