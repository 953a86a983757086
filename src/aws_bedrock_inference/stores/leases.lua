-- The leases of one quota inside a Redis or Valkey server: the twin of leases.py, gone.py, fair_shares.py and division.py
-- in rules/quota, which explain it.
-- Redis 6.2 or newer, Valkey. tests/stores/test_twins.py holds both equal.
--
-- KEYS  1: hash of the leases   "" -> what all share, and one field for each member
--       2: hash of the reports  member -> text
-- ARGV  operation, now in seconds or "" for the server's clock, the format of the caller, then
--   renew   member, holding, rate, report, number of needs, {priority, need, calls, tenant}…, {dimension, limit, stamp, "1" when lowered}…
--   leave   member, report
--   look
-- Errors: BEDROCKFORMAT when a version wrote the data that is newer than the next one, BEDROCKDATA when none of ours did.
-- Numbers are answered as text with 17 digits: Lua's conversion to a reply would cut off the fraction.

local GUARANTEED, GUARANTEED_TO_ALL, FREE, PLAN = 0.05, 0.5, 0.1, 0.2
local CALLS, OFTEN, SELDOM = 8, 1, 2.5
local SHORT, SOON = 0.95, 0.3
local VALID, LONGEST = 2.7, 60
local GRACE, CAUTIOUS = SELDOM + 2 * SOON, 0.25
local FEWEST, TOLERANCE, UNLIMITED, SAME = 0.01, 1e-9, 1e300, 1e-9
local MINUTE, STEP, LATE, MOST, LEFT = 60, 2, 0.5, 64, ''
local LITTLE, KEPT_FOR, KEPT_FOR_ALL = 0.05, 15, FREE
local UNUSED = 3600 -- seconds until a quota that nobody uses is forgotten

local OTHERS = '\n' -- the name of tenants that are not told one by one

-- What a member's field holds; three numbers for each need follow, and `tenants` says whose each is, if anybody's.
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

-- What cmsgpack makes of a field, nil when it is none of ours.
local function unpacked(field)
  local ok, value = pcall(cmsgpack.unpack, field)
  return ok and type(value) == 'table' and value or nil
end

-- A member's lease, nil when the field holds no numbers or makes no sense: it harms no other member.
local latest -- end of a lease that can be, once it is known what time it is
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

-- Whose the need is whose first number is at `i`.
local function tenant_of(lease, i)
  local tenant = lease.tenants and lease.tenants[(i - NEEDS - 1) / 3 + 1]
  return type(tenant) == 'string' and tenant or ''
end

local function amount(value)
  return type(value) == 'number' and value == value and value >= 0 and value < math.huge
end

-- What a member's report names as its minute; nothing where it cannot be read.
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

-- Counts under `name` what was used before `at`. `pool.gone` has a list for each name: the name, then step, requests and
-- tokens in turns.
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

-- Counts no longer what a member used that has come back; returns what was kept for it.
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

-- Lets a member leave that fell silent; returns what was kept for it.
local function left(pool, name)
  for _, each in ipairs(pool.gone) do
    if each[1] == name then
      each[1] = LEFT
    end
  end
  return back(pool, name)
end

-- The part of the quota that is kept for all who need little.
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

-- What still counts, and for how long; forgets the rest.
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

-- The estimate of a dimension, 0 where there is none.
local function finite(pool, name)
  for _, entry in ipairs(pool.limits) do
    if entry[1] == name and entry[2] < UNLIMITED then
      return entry[2]
    end
  end
  return 0
end

-- Counts what a member used that fell silent, and what it may have used since it last asked.
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

-- What each call may have, so that all get the smaller of need and level × calls and use up `left`; and what they use.
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

-- Collects into `wants`, for each priority a list of tenants, and priorities met for the first time into `order`.
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

-- Forgets who was silent for too long, and finds what is due to whom. `member` has just asked.
local function plan(pool, member, asking, now)
  local fields = redis.call('HGETALL', leases)
  local wants, order, members = {}, {}, 1
  pool.leased = asking[SHARE]
  gather(asking, wants, order)
  for i = 1, #fields, 2 do
    local name = fields[i]
    if name ~= '' and name ~= member then
      local lease = unpacked_lease(fields[i + 1])
      if lease and lease[UNTIL] > now then
        members = members + 1
        pool.leased = pool.leased + lease[SHARE]
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

-- What the plan gives to a lease, and which part of its tenant's calls each need names; nil when the plan does not know
-- whose a need is, or a version without tenants made it.
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
  if now - pool.planned < PLAN then
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
  local share, again = math.min(most, free), SELDOM
  if new or share < SHORT * (due - pool.surplus) then
    again = SOON
  elseif rate > 0 then
    again = math.min(SELDOM, math.max(OFTEN, CALLS / rate))
  end
  pool.leased = pool.leased + (share - had)
  lease[SHARE] = share
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
  return redis.error_reply('BEDROCKFORMAT the pool has format ' .. pool.format .. ', formats up to ' .. format + 1 .. ' are read')
end
pool.gone, pool.kept = pool.gone or {}, pool.kept or {}
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
