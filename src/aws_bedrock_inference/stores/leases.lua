-- The leases of one quota inside a Redis or Valkey server. This script does the same as leases.py, gone.py,
-- fair_shares.py and division.py in rules/quota, which explain it.
-- Redis 6.2 or newer, Valkey. tests/stores/test_twins.py checks that both give the same results.
--
-- KEYS  1: hash of the leases   "" -> the common state, and one field for each member
--       2: hash of the reports  member -> text
-- ARGV  operation, now in seconds or "" for the server's clock, the format of the caller, then
--   renew   member, holding, rate, report, number of needs, {priority, need, calls, tenant}…, {dimension, limit, stamp, "1" when lowered}…
--   leave   member, report
--   look
-- Errors: BEDROCKFORMAT if the version that wrote the data is newer than the next version, BEDROCKDATA if no version of
-- this package wrote the data.
-- Numbers are returned as text with 17 digits: Lua's conversion to a reply would drop the fraction.

local GUARANTEED, GUARANTEED_TO_ALL, FREE, PLAN = 0.05, 0.5, 0.1, 0.2
local CALLS, OFTEN, SELDOM = 8, 1, 2.5
local SHORT, SOON = 0.95, 0.3
local VALID, AFTER, LONGEST = 2.7, 0.05, 60
local GRACE, CAUTIOUS = SELDOM + 2 * SOON, 0.25
local FEWEST, TOLERANCE, UNLIMITED, SAME = 0.01, 1e-9, 1e300, 1e-9
local MINUTE, STEP, LATE, MOST, LEFT = 60, 2, 0.5, 64, ''
local LITTLE, KEPT_FOR, KEPT_FOR_ALL = 0.05, 15, FREE
local UNUSED = 3600 -- seconds after which an unused quota is deleted

local OTHERS = '\n' -- the common name of tenants that are not listed separately

-- The layout of a member's field. Three numbers for each need follow; `tenants` has the tenant of each need, if it has one.
local SHARE, UNTIL, SEEN, RATE, NEEDS = 1, 2, 3, 4, 4

local leases, reports = KEYS[1], KEYS[2]

local function exact(number)
  return string.format('%.17g', number)
end

local function server_time()
  local time = redis.call('TIME')
  return tonumber(time[1]) + tonumber(time[2]) / 1e6
end

local function born(now)
  return {
    born = now, at = now, offset = 0, planned = now - 2 * PLAN, rejoined = false, leased = 0, surplus = 0,
    levels = {}, limits = {}, members = 1, gone = {}, kept = {},
  }
end

-- Returns the decoded field, or nil if this script did not write it.
local function unpacked(field)
  local ok, value = pcall(cmsgpack.unpack, field)
  return ok and type(value) == 'table' and value or nil
end

-- Returns a member's lease, or nil if its numbers are missing or impossible, so that it harms no other member.
local latest -- the latest possible end of a lease, set when the time is known
local function unpacked_lease(field)
  local lease = unpacked(field)
  for i = 1, lease and math.max(#lease, NEEDS) or 0 do
    if type(lease[i]) ~= 'number' or lease[i] ~= lease[i] or math.abs(lease[i]) == math.huge then
      return nil
    end
  end
  if not lease or (#lease - NEEDS) % 3 ~= 0 or lease[SHARE] < 0 or lease[SHARE] > 1 + TOLERANCE or lease[UNTIL] > latest then
    return nil
  end
  if type(lease.tenants) ~= 'table' then
    lease.tenants = nil
  end
  return lease
end

-- Returns the tenant of the need whose first number is at `i`.
local function tenant_of(lease, i)
  local tenant = lease.tenants and lease.tenants[(i - NEEDS - 1) / 3 + 1]
  return type(tenant) == 'string' and tenant or ''
end

local function amount(value)
  return type(value) == 'number' and value == value and value >= 0 and value < math.huge
end

-- Returns the last minute's use in a member's report; an empty list if the report cannot be read.
local function uses_of(report)
  local ok, value = pcall(cjson.decode, report or '')
  local minute = ok and type(value) == 'table' and value.minute
  if type(minute) ~= 'table' or #minute > MOST then
    return {}
  end
  for _, use in ipairs(minute) do
    if type(use) ~= 'table' or #use ~= 3 or not (amount(use[1]) and amount(use[2]) and amount(use[3])) then
      return {}
    end
  end
  return minute
end

-- Records the use before `at` under `name`. `pool.gone` has a list for each name: the name, then step, requests, tokens,
-- step, requests, tokens, and so on.
local function add_gone(pool, name, uses, at)
  local steps
  for _, each in ipairs(pool.gone) do
    if each[1] == name then
      steps = each
    end
  end
  if not steps then
    steps = {name}
    pool.gone[#pool.gone + 1] = steps
  end
  for _, use in ipairs(uses) do
    local step, found = math.ceil((at + MINUTE + LATE - math.min(use[1], MINUTE)) / STEP), #steps + 1
    for i = 2, #steps, 3 do
      if steps[i] == step then
        found = i
      end
    end
    steps[found] = step
    steps[found + 1] = (steps[found + 1] or 0) + use[2]
    steps[found + 2] = (steps[found + 2] or 0) + use[3]
  end
end

-- Stops counting the use of a member that has returned, and returns the share that was reserved for it.
local function back(pool, name)
  for i, each in ipairs(pool.gone) do
    if each[1] == name then
      table.remove(pool.gone, i)
      break
    end
  end
  for i, each in ipairs(pool.kept) do
    if each[1] == name then
      table.remove(pool.kept, i)
      return each[2]
    end
  end
  return 0
end

local function is_gone(pool, name)
  for _, each in ipairs(pool.gone) do
    if each[1] == name then
      return true
    end
  end
  return false
end

-- Removes a member that stopped renewing, and returns the share that was reserved for it.
local function left(pool, name)
  for _, each in ipairs(pool.gone) do
    if each[1] == name then
      each[1] = LEFT
    end
  end
  return back(pool, name)
end

-- Returns the part of the quota that is reserved for all absent members with small needs.
local function kept_for_all(pool, now)
  local kept, total = {}, 0
  for _, each in ipairs(pool.kept) do
    if now < each[3] + KEPT_FOR then
      kept[#kept + 1] = each
      total = total + each[2]
    end
  end
  if total > KEPT_FOR_ALL then
    for _, each in ipairs(kept) do
      each[2] = each[2] * KEPT_FOR_ALL / total
    end
  end
  pool.kept = kept
  return math.min(total, KEPT_FOR_ALL)
end

-- Returns the use that still counts, with the seconds until it expires, and deletes the rest.
local function still_gone(pool, now)
  local total, order, kept, uses = {}, {}, {}, {}
  for _, each in ipairs(pool.gone) do
    local steps = {each[1]}
    for i = 2, #each, 3 do
      local step = each[i]
      if step * STEP > now then
        if not total[step] then
          total[step] = {0, 0}
          order[#order + 1] = step
        end
        total[step][1], total[step][2] = total[step][1] + each[i + 1], total[step][2] + each[i + 2]
        for j = i, i + 2 do
          steps[#steps + 1] = each[j]
        end
      end
    end
    if #steps > 1 then
      kept[#kept + 1] = steps
    end
  end
  pool.gone = kept
  table.sort(order)
  for i, step in ipairs(order) do
    uses[i] = {exact(step * STEP - now), exact(total[step][1]), exact(total[step][2])}
  end
  return uses
end

-- Returns the estimated limit of a dimension, or 0 if there is none.
local function finite(pool, name)
  for _, entry in ipairs(pool.limits) do
    if entry[1] == name and entry[2] < UNLIMITED then
      return entry[2]
    end
  end
  return 0
end

-- Records the use that a member which stopped renewing has reported, and the use that it can have had since then.
local function lapse(pool, name, lease)
  add_gone(pool, name, uses_of(redis.call('HGET', reports, name)), lease[SEEN])
  local part = lease[SHARE] * (lease[UNTIL] - lease[SEEN]) / MINUTE
  add_gone(pool, name, {{0, part * finite(pool, 'requests'), part * finite(pool, 'tokens')}}, lease[UNTIL])
  local need = 0
  for i = NEEDS + 2, #lease, 3 do
    need = need + lease[i]
  end
  local kept = math.min(lease[SHARE], need)
  if need <= LITTLE and kept > 0 then
    pool.kept[#pool.kept + 1] = {name, kept, lease[SEEN]}
  end
end

-- Returns the level, at which each entry gets the smaller of its need and level × calls and all together use up `left`;
-- and the total that they use.
local function level(wants, left)
  local total, calls, rest = 0, 0, left
  for _, want in ipairs(wants) do
    total, calls = total + want[1], calls + want[2]
  end
  if total <= left + TOLERANCE then
    return UNLIMITED, total
  end
  table.sort(wants, function(a, b) return a[1] / a[2] < b[1] / b[2] end)
  for _, want in ipairs(wants) do
    if want[1] * calls > rest * want[2] then
      return rest / calls, left
    end
    rest, calls = rest - want[1], calls - want[2]
  end
  return UNLIMITED, left
end

-- Adds the needs of a lease to `wants`, which has a list of tenants for each priority. Adds new priorities to `order`.
local function gather(lease, wants, order)
  for i = NEEDS + 1, #lease, 3 do
    local priority, need = lease[i], lease[i + 1]
    if need > 0 then
      local same = wants[priority]
      if not same then
        same = {named = {}}
        wants[priority] = same
        order[#order + 1] = priority
      end
      local name = tenant_of(lease, i)
      local tenant, calls = same.named[name], math.max(lease[i + 2], FEWEST)
      if not tenant then
        tenant = {name = name, wants = {}, need = 0, calls = 0}
        same.named[name] = tenant
        same[#same + 1] = tenant
      end
      tenant.wants[#tenant.wants + 1] = {need, calls}
      tenant.need, tenant.calls = tenant.need + need, tenant.calls + calls
    end
  end
end

-- Returns true if a member received less than it needs.
local function lacks(lease)
  local need = 0
  for i = NEEDS + 2, #lease, 3 do
    need = need + lease[i]
  end
  return lease[SHARE] < SHORT * need
end

-- Returns the seconds between two renewals of a member.
local function interval(lease)
  if lacks(lease) then
    return OFTEN
  end
  return lease[RATE] > 0 and math.min(SELDOM, math.max(OFTEN, CALLS / lease[RATE])) or SELDOM
end

-- Removes members whose lease has expired, and calculates what each tenant is due. `member` is renewing its lease now.
local function plan(pool, member, asking, now)
  local fields = redis.call('HGETALL', leases)
  local wants, order, members = {}, {}, 1
  pool.leased, pool.late = asking[SHARE], 0
  gather(asking, wants, order)
  for i = 1, #fields, 2 do
    local name = fields[i]
    if name ~= '' and name ~= member then
      local lease = unpacked_lease(fields[i + 1])
      if lease and lease[UNTIL] > now then
        members = members + 1
        pool.leased = pool.leased + lease[SHARE]
        if lease[SEEN] + interval(lease) + SOON < now then
          pool.late = pool.late > 0 and math.min(pool.late, lease[UNTIL]) or lease[UNTIL]
        end
        gather(lease, wants, order)
      else
        if lease then
          lapse(pool, name, lease)
        end
        redis.call('HDEL', leases, name)
        redis.call('HDEL', reports, name)
      end
    end
  end
  local unused = kept_for_all(pool, now)
  pool.leased = pool.leased + unused
  table.sort(order)
  local each, kept, reserved = math.min(GUARANTEED, GUARANTEED_TO_ALL / math.max(1, #order - 1)), {}, 0
  for i = 2, #order do
    local total = 0
    for _, want in ipairs(wants[order[i]]) do
      total = total + want.need
    end
    kept[i] = math.min(each, total)
    reserved = reserved + kept[i]
  end
  local left, served = 1 - unused, 0
  local found = {}
  pool.levels = {}
  for i, priority in ipairs(order) do
    reserved = reserved - (kept[i] or 0)
    local totals, turn = {}
    for j, tenant in ipairs(wants[priority]) do
      tenant.turns = tenant.name == OTHERS and tenant.calls or 1
      totals[j] = {tenant.need, tenant.turns}
    end
    turn, served = level(totals, math.max(0, left - reserved))
    for _, tenant in ipairs(wants[priority]) do
      local each = turn < UNLIMITED and level(tenant.wants, turn * tenant.turns) or UNLIMITED
      found[#found + 1] = {priority, tenant.name, each, tenant.calls}
      if tenant.name == '' then
        pool.levels[#pool.levels + 1] = {priority, each}
      end
    end
    left = left - served
  end
  pool.tenants = {planned = now, levels = found}
  pool.surplus = math.max(0, left - FREE) / members
  pool.members = members
  pool.planned = now
end

-- Returns the share that the plan gives to a lease, and for each need its part of its tenant's calls. Returns nil if the
-- plan lacks the tenant of a need, or if a version without tenants made the plan.
local function due_to(pool, lease)
  local due, parts, levels, told = pool.surplus, {}, {}, pool.tenants
  if type(told) ~= 'table' or told.planned ~= pool.planned then
    return nil
  end
  for _, entry in ipairs(told.levels) do
    levels[entry[1]] = levels[entry[1]] or {}
    levels[entry[1]][entry[2]] = entry
  end
  for i = NEEDS + 1, #lease, 3 do
    local need, calls, part = lease[i + 1], math.max(lease[i + 2], FEWEST), 1
    if need > 0 then
      local found = (levels[lease[i]] or {})[tenant_of(lease, i)]
      if not found then
        return nil
      end
      due, part = due + math.min(need, found[3] * calls), math.min(1, calls / found[4])
    end
    parts[#parts + 1] = lease.tenants and exact(part)
  end
  return due, parts
end

local function learn(pool, first)
  for i = first, #ARGV, 4 do
    local name, limit, based_on, lowered = ARGV[i], tonumber(ARGV[i + 1]), tonumber(ARGV[i + 2]), ARGV[i + 3] == '1'
    local known
    for _, entry in ipairs(pool.limits) do
      if entry[1] == name then
        known = entry
      end
    end
    if not known then
      pool.limits[#pool.limits + 1] = {name, limit, 1}
    else
      local differs = math.abs(limit - known[2]) > SAME * math.max(limit, known[2])
      if (based_on == known[3] and differs) or (based_on ~= known[3] and lowered and limit < known[2]) then
        known[2], known[3] = limit, known[3] + 1
      end
    end
  end
end

local function estimates(pool)
  local limits = {}
  for i, entry in ipairs(pool.limits) do
    limits[i] = {entry[1], exact(entry[2]), exact(entry[3])}
  end
  return limits
end

local function renew(pool, member, now)
  local holding, rate, report, needs = tonumber(ARGV[5]), tonumber(ARGV[6]), ARGV[7], tonumber(ARGV[8])
  local old = redis.call('HGET', leases, member)
  old = old and unpacked_lease(old)
  local had = old and old[SHARE] or back(pool, member)
  local known = old and old[UNTIL] > now
  local new = not known and had <= TOLERANCE
  local lease, tenants = {had, now + VALID, now, rate}, {}
  for i = 9, 8 + 4 * needs, 4 do
    for j = i, i + 2 do
      lease[#lease + 1] = tonumber(ARGV[j])
    end
    tenants[#tenants + 1] = ARGV[i + 3]
    if ARGV[i + 3] ~= '' then
      lease.tenants = tenants
    end
  end
  local due, parts
  if now - pool.planned < PLAN and not (pool.late > 0 and pool.late <= now) then
    due, parts = due_to(pool, lease)
  end
  if not due then
    plan(pool, member, lease, now)
    due, parts = due_to(pool, lease)
  end
  local free = math.max(0, 1 - (pool.leased - had))
  local most = due
  local rejoins = not known and holding > 0
  if rejoins and now >= pool.born + GRACE then
    pool.born = now
  end
  if now < pool.born + GRACE then
    pool.rejoined = pool.rejoined or rejoins
    if rejoins then
      most = holding
    elseif pool.rejoined then
      most = known and had or math.min(due, CAUTIOUS * free)
    end
  end
  local share = math.min(most, free)
  pool.leased = pool.leased + (share - had)
  lease[SHARE] = share
  local again = interval(lease)
  if new or share < SHORT * (due - pool.surplus) then
    again = SOON
  elseif lacks(lease) and pool.late > 0 then
    again = math.min(again, pool.late - now + AFTER)
  end
  learn(pool, 9 + 4 * needs)
  local gone = still_gone(pool, now)
  redis.call('HSET', leases, '', cmsgpack.pack(pool), member, cmsgpack.pack(lease))
  redis.call('EXPIRE', leases, UNUSED)
  if report == '' then
    redis.call('HDEL', reports, member)
  else
    redis.call('HSET', reports, member, report)
    redis.call('EXPIRE', reports, UNUSED)
  end
  return {exact(share), exact(VALID), exact(again), estimates(pool), pool.members or 1, gone, parts}
end

local function leave(pool, member, now)
  local old = redis.call('HGET', leases, member)
  if old or is_gone(pool, member) then
    local lease = old and unpacked_lease(old)
    pool.leased = pool.leased - (old and (lease and lease[SHARE] or 0) or left(pool, member))
    local report = ARGV[5] or ''
    report = report ~= '' and report or redis.call('HGET', reports, member)
    add_gone(pool, LEFT, old and uses_of(report) or {}, now)
    redis.call('HDEL', leases, member)
    redis.call('HDEL', reports, member)
    redis.call('HSET', leases, '', cmsgpack.pack(pool))
  end
  return {}
end

local function look(pool, now)
  local fields, members = redis.call('HGETALL', leases), {}
  for i = 1, #fields, 2 do
    local name = fields[i]
    if name ~= '' then
      local lease = unpacked_lease(fields[i + 1])
      if lease and lease[UNTIL] > now then
        local report = redis.call('HGET', reports, name) or ''
        members[#members + 1] = {name, exact(lease[SHARE]), exact(now - lease[SEEN]), exact(lease[RATE]), report}
      end
    end
  end
  return {members, estimates(pool)}
end

local operation, format, member = ARGV[1], tonumber(ARGV[3]), ARGV[4]
local now = tonumber(ARGV[2]) or server_time()
local kept = redis.call('HGET', leases, '')
local pool = kept and unpacked(kept) or born(now)
if kept and not (unpacked(kept) and pool.born and pool.at and pool.offset and pool.planned and pool.leased
    and pool.surplus and pool.levels and pool.limits) then
  return redis.error_reply('BEDROCKDATA the pool cannot be read')
end
if (pool.format or 0) > format + 1 then
  return redis.error_reply('BEDROCKFORMAT the pool has format ' .. pool.format .. ', and this version reads formats up to ' .. format + 1)
end
pool.gone, pool.kept, pool.late = pool.gone or {}, pool.kept or {}, pool.late or 0
pool.format = math.max(pool.format or 0, format)
now = now + pool.offset
if now < pool.at then
  pool.offset = pool.offset + pool.at - now
  now = pool.at
end
pool.at = now
latest = now + LONGEST
if operation == 'renew' then
  return renew(pool, member, now)
elseif operation == 'leave' then
  return leave(pool, member, now)
end
return look(pool, now)
